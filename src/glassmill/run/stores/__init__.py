"""Files in object stores and on web servers: addresses, range reads that survive faults, and what is read of them."""
