"""Self-supervised pre-training of the small ViT of the demo."""
