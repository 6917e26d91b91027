"""Networks from elsewhere: of the Hugging Face hub, of a folder, or made by a function. `backbones` is the way in."""
