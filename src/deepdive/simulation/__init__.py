"""Running emitted projects and comparing every unit with the reference."""
