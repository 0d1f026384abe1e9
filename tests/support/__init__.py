"""What several tests share: simulated meters on real lines, virtual time, servers, clients, oracles."""
