"""The stages in RTL: Amaranth components, one a file, with valid/ready stream ports."""
