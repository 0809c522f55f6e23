"""The libreyolo engine as a Nuclio function."""
