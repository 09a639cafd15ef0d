"""Writers of projects: what a Design and its network become on disk."""
