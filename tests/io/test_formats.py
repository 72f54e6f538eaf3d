import pytest

from chromweave.errors import FileFormatError
from chromweave.io.formats import reading, require_file


def test_a_file_comes_back_as_a_path(tmp_path):
    file = tmp_path / "a.bed"
    file.write_text("x")
    assert require_file(str(file), "a BED file") == file


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "empty").touch()
    for path, said in (
        (tmp_path, "is a directory, where a BED file is meant"),
        (tmp_path / "none", "no such file; a BED file is needed"),
        (tmp_path / "empty", "is empty"),
    ):
        with pytest.raises(FileFormatError, match=said) as error:
            require_file(path, "a BED file")
        assert str(path) in str(error.value)


def test_errors_of_libraries_name_the_file_and_the_reason():
    with (
        pytest.raises(FileFormatError, match=r"a\.hic: .*truncated or damaged \(bad block\)"),
        reading("a.hic", "a map"),
    ):
        raise RuntimeError("\nbad block\nmore")


def test_our_own_errors_and_defects_pass_through():
    with pytest.raises(FileFormatError, match=r"^mine$"), reading("a", "a map"):
        raise FileFormatError("mine")
    with pytest.raises(ZeroDivisionError), reading("a", "a map"):
        raise ZeroDivisionError


def test_panics_of_rust_libraries_are_damage_and_an_interrupt_is_not():
    class PanicException(BaseException):
        pass

    with pytest.raises(FileFormatError, match="damaged"), reading("a", "a map"):
        raise PanicException("index out of bounds")
    with pytest.raises(KeyboardInterrupt), reading("a", "a map"):
        raise KeyboardInterrupt


def test_a_librarys_own_exceptions():
    class LibraryError(Exception):
        pass

    with pytest.raises(FileFormatError, match=r"damaged \(odd\)"), reading("a", "a map", LibraryError):
        raise LibraryError("odd")
    with pytest.raises(LibraryError), reading("a", "a map"):
        raise LibraryError("odd")
