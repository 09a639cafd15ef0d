"""C++ templates of the stages, stand-ins for the vendor's headers, and the test bench's host side; no Python."""
