"""Devices, their memory, and the processes that share them."""
