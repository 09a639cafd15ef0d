"""DeepDive: from a depthwise-separable CNN in PyTorch to a verified FPGA accelerator."""
