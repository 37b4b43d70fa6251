"""What the tests of ``/v3`` share: a client, a server of their own in a thread, and a pool with prepared answers."""
