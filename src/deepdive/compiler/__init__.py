"""The compiler: from a QNet and a board to a Design - blocks, compute units, folding, figures."""
