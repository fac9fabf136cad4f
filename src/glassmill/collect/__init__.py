"""Getting data: the user's own files, Common Crawl, the user's own site, lists of hosts."""
