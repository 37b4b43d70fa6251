"""Images that the server fetches for a client: from a PACS by C-GET, or by HTTP. Only from hosts that were allowed."""
