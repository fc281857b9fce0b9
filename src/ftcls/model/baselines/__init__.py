"""Simple models that stand beside the fine-tuned one."""
