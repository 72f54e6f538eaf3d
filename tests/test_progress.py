"""Progress reaches whoever listens, and nobody by default."""

from chromweave.progress import notify, reporting, track


class Recorder:
    def __init__(self):
        self.said = []

    def track(self, items, description, total, unit):
        for item in items:
            self.said.append((description, total, unit, item))
            yield item

    def notify(self, message):
        self.said.append(message)


def test_silent_by_default(capsys):
    assert list(track([1, 2], "reading")) == [1, 2]
    notify("news")
    assert capsys.readouterr() == ("", "")


def test_the_reporter_of_the_block_hears_it():
    recorder = Recorder()
    with reporting(recorder):
        assert list(track("ab", "reading", unit="letter")) == ["a", "b"]
        assert list(track(iter("c"), "more", total=1)) == ["c"]
        notify("news")
    list(track("z", "unheard"))
    assert recorder.said == [
        ("reading", 2, "letter", "a"),
        ("reading", 2, "letter", "b"),
        ("more", 1, "it", "c"),
        "news",
    ]


def test_later_processes_of_a_training_are_not_heard(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    recorder = Recorder()
    with reporting(recorder):
        assert list(track("ab", "reading")) == ["a", "b"]
        notify("news")
    assert recorder.said == []
