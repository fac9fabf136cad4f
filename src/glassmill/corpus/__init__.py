"""Web pages to documents: reading, extraction, filters, deduplication, personal data."""
