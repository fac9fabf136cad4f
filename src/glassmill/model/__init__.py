"""Ids in, logits out: the Qwen3-, Qwen2- and Llama-shaped Transformer. No file is opened here."""
