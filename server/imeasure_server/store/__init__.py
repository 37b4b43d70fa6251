"""What the server keeps in its database: keys, usage and billing, history, picture-of-picture sessions.

Everything here is synchronous and safe to call from several threads and from several servers on one database; callers
on an event loop use ``asyncio.to_thread``. `imeasure_server.store.database.StoreUnavailable` is the only error that
means "the database did not do it".
"""
