"""Networks that a user's file makes: imported, called by what its parameters are named, freed of what hangs on the layers."""
