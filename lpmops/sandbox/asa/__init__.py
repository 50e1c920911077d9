"""The Stream Analytics engine of the sandbox."""
