"""The question before the training: whether to transfer, what, from where, and how; in minutes, on frozen features."""
