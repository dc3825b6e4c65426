"""The Kubernetes target: environments are namespaces, called through kubectl."""
