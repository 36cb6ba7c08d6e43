"""Where things lie in the setup content (FACTS §0.8, §7); every path is relative to the build context."""

SETUP = "azureml-environment-setup"
SPECIFICATION = "mutated_conda_dependencies.yml"
DOCKERFILE = f"{SETUP}/Dockerfile"
EXTRA_FILES = "files"
