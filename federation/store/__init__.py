"""The register: etcd and its in-memory twin behind one interface."""
