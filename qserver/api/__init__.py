"""People ask: the HTTP interface. Handlers parse, call one store method and answer; rules live in domain and store."""
