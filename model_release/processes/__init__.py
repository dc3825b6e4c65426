"""Other programs: their environments, their bounds, and the locks between them."""
