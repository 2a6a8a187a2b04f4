"""The command line's commands, one small file each."""
