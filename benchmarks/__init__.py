"""What is measured, how, and the last results with the machine they came from."""
