"""Model folders from elsewhere and to elsewhere: GGUF files, Hugging Face folders, weights inside a package."""
