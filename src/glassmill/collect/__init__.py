"""From elsewhere to the house: a folder of documents, Common Crawl, a site of one's own."""
