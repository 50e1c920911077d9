"""One widget a file: a pure function from values to lines, and the widget that shows them."""
