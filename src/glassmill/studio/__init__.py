"""The studio: one web page that shows a line as it happens and ends in the chat box."""
