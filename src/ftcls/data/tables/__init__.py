"""Tables: how a file's rows and columns are found."""
