"""Networks from the Hugging Face hub, a local folder, or the user's function. `hub_backbone` is the entry point."""
