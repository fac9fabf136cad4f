"""Where a model's words come from: the longest verbatim stretches of a text in the training documents, their pages, how
these passed the filters, and the steps that read them."""
