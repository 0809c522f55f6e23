"""Pre-annotations: proposed to people, and compared with what people made of them."""
