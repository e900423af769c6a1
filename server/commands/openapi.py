"""`hrm-serve openapi`: the API's description, as openapi.yaml has it."""


def openapi() -> None:
    """Print the description of the API as YAML."""
    from server.app import bare_app
    from server.openapi import as_yaml

    print(as_yaml(bare_app()), end="")
