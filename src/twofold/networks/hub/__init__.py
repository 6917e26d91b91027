"""Networks of the Hugging Face hub, of a local folder, or made by the user's function. `hub_backbone` is the entry point."""
