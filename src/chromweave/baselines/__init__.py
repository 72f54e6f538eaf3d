"""What others have made for the same questions, restated on the same input, to be compared with."""
