"""The commands of `hrm-serve`, one file each: they read arguments and print; the work is that of server/building."""
