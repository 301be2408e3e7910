"""Deploy the template of the examples to a running MiniStack, in the two steps of ``docs/aws-lambda.md``.

This runs in the virtual environment of MiniStack, so it imports by name. It reads a JSON object from standard
input (see :mod:`support.ministack`) and prints another, with the ids of what it has made.
"""

from __future__ import annotations

import copy
import io
import json
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

_REGION = "eu-west-1"
_BUCKET = "functions"
_STACK = "sessions"


class Deployment:
    """The stack, and what a test needs beside it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._folder = Path(given["folder"])
        self._boto3: Any = import_module("boto3")
        self._formation = self._client("cloudformation")
        self._gateway = self._client("apigatewayv2")

    def _client(self, service: str) -> Any:
        return self._boto3.client(
            service,
            endpoint_url=self._given["endpoint"],
            verify=self._given["ca"],
            region_name=_REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def make(self) -> dict[str, Any]:
        """Deploy everything, and return the ids."""
        self._upload()
        template = json.dumps(self._template())
        deployed = self._deploy("create", template)
        # API Gateway asks the app under its own address, so the API has one before the authorizer is made.
        self._name(deployed["HttpApi"])
        deployed = self._deploy("update", template, ApiDomain=self._given["api_domain"])
        self._speak_cors(deployed["HttpApi"])
        self._respond(deployed["RestApi"])
        return {**deployed, "url": self._function_url(deployed["AppFunction"]), **self._balancers(deployed)}

    def _upload(self) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in [*self._folder.glob("*.py"), Path(self._given["functions"])]:
                archive.write(path, path.name)
        storage = self._client("s3")
        storage.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
        storage.put_object(Bucket=_BUCKET, Key="functions.zip", Body=packed.getvalue())

    def _template(self) -> dict[str, Any]:
        text = (self._folder / "template.yaml").read_text(encoding="utf-8")
        template: dict[str, Any] = import_module("samtranslator.yaml_helper").yaml_parse(text)
        functions = template["Globals"]["Function"]
        functions["CodeUri"] = f"s3://{_BUCKET}/functions.zip"  # what `sam build` and `sam deploy` upload
        functions["Environment"]["Variables"]["PYTHONPATH"] = self._given["pythonpath"]
        resources: dict[str, Any] = template["Resources"]
        # A second route behind each authorizer with cached results, and the Flask app behind the REST API.
        paths = resources["RestApi"]["Properties"]["DefinitionBody"]["paths"]
        paths["/cached/other"] = paths["/cached/user"]
        paths["/{proxy+}"] = json.loads(json.dumps(paths["/user"]).replace("UserFunction", "AppFunction"))
        for path in paths.values():
            # MiniStack imports no method that stands for all.
            every = path.pop("x-amazon-apigateway-any-method", None)
            path.update({method: every for method in ("get", "post", "options") if every is not None})
        resources["OtherRoute"] = _route(resources, "GET /authorized/other")
        # Two authorizers that the examples do not have.
        for handler in ("exact", "denying"):
            name = handler.capitalize()
            function = resources[f"{name}Function"] = copy.deepcopy(resources["HttpAuthorizerFunction"])
            function["Properties"]["Handler"] = f"gateway_functions.{handler}"
            authorizer = json.dumps(resources["HttpAuthorizer"])
            authorizer = authorizer.replace("HttpAuthorizerFunction", f"{name}Function")
            resources[f"{name}Authorizer"] = json.loads(authorizer)
            resources[f"{name}Authorizer"]["Properties"].update(Name=handler, EnableSimpleResponses=False)
            for route in ("user", "other"):
                made = _route(resources, f"GET /{handler}/{route}", f"{name}Authorizer")
                resources[f"{name}{route.capitalize()}Route"] = made
        return template

    def _deploy(self, step: str, template: str, **parameters: str) -> dict[str, str]:
        given = {**self._given["parameters"], **parameters}
        getattr(self._formation, f"{step}_stack")(
            StackName=_STACK,
            TemplateBody=template,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        )
        waiter = self._formation.get_waiter(f"stack_{step}_complete")
        waiter.wait(StackName=_STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        found = self._formation.describe_stack_resources(StackName=_STACK)["StackResources"]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def _name(self, api: str) -> None:
        domain, configuration = self._given["domain"], {"EndpointType": "REGIONAL"}
        self._gateway.create_domain_name(DomainName=domain, DomainNameConfigurations=[configuration])
        self._gateway.create_api_mapping(DomainName=domain, ApiId=api, Stage="$default")

    def _speak_cors(self, api: str) -> None:
        # MiniStack keeps the template's configuration under names that it does not look at.
        wanted = self._template()["Resources"]["HttpApi"]["Properties"]["CorsConfiguration"]
        wanted["AllowOrigins"] = [self._given["parameters"]["WebsiteDomain"]]
        self._gateway.update_api(ApiId=api, CorsConfiguration=wanted)

    def _respond(self, api: str) -> None:
        # MiniStack does not import the gateway responses of a template.
        rest = self._client("apigateway")
        body = self._template()["Resources"]["RestApi"]["Properties"]["DefinitionBody"]
        website = self._given["parameters"]["WebsiteDomain"]
        for kind, response in body["x-amazon-apigateway-gateway-responses"].items():
            parameters = {
                name: value["Fn::Sub"].replace("${WebsiteDomain}", website)
                if isinstance(value, dict)
                else value
                for name, value in response["responseParameters"].items()
            }
            rest.put_gateway_response(
                restApiId=api,
                responseType=kind,
                responseParameters=parameters,
                responseTemplates=response.get("responseTemplates", {}),
                **({"statusCode": str(response["statusCode"])} if "statusCode" in response else {}),
            )
        rest.create_deployment(restApiId=api, stageName="prod")

    def _function_url(self, function: str) -> str:
        created = self._client("lambda").create_function_url_config(FunctionName=function, AuthType="NONE")
        host: str = created["FunctionUrl"].partition("//")[2]
        return host.partition(".")[0]

    def _balancers(self, deployed: dict[str, str]) -> dict[str, str]:
        """Make load balancers, with multi-value headers switched off and on."""
        made: dict[str, str] = {}
        elb, functions = self._client("elbv2"), self._client("lambda")
        target = functions.get_function(FunctionName=deployed["AppFunction"])["Configuration"]["FunctionArn"]
        for name, several in (("alb", "false"), ("alb-multi-value", "true")):
            balancer = elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])
            group = elb.create_target_group(Name=name, TargetType="lambda")["TargetGroups"][0][
                "TargetGroupArn"
            ]
            attribute = {"Key": "lambda.multi_value_headers.enabled", "Value": several}
            elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[attribute])
            elb.register_targets(TargetGroupArn=group, Targets=[{"Id": target}])
            elb.create_listener(
                LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
                Protocol="HTTP",
                Port=self._given["port"],
                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            )
            made[name] = name
        return made


def _route(resources: dict[str, Any], key: str, authorizer: str = "HttpAuthorizer") -> dict[str, Any]:
    route: dict[str, Any] = copy.deepcopy(resources["AuthorizedRoute"])
    route["Properties"].update(RouteKey=key, AuthorizerId={"Ref": authorizer})
    return route


if __name__ == "__main__":
    print(json.dumps(Deployment(json.load(sys.stdin)).make()))
