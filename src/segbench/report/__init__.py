"""Records of finished cells and what is made from them; nothing here imports torch."""
