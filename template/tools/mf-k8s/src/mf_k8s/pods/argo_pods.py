"""The whole pods that Argo, and JobSet, make of a WorkflowTemplate.

They follow createWorkflowPod in workflow/controller/workflowpod.go and createAgentPod in agent.go
of argo-workflows, 3.7 to 4.1, in what admission and scheduling look at. Environment variables and
commands that Argo adds are left out.
"""

from collections.abc import Iterator
from typing import Any

from .argo_controller import INSTANCE_ID, Controller
from .argo_secrets import secret_volumes, token_of
from .argo_templates import has_agent, time_limits, with_template_defaults
from .pod_manifests import jobset_pods, pod_manifest, without_nulls
from .read_pods import Manifest, step_name
from .read_yaml import read_yaml
from .strategic_merge import POD, WORKFLOW, strategic_merge

AGENT = "(agent)"  # stands for the name of the pod that runs a workflow's HTTP templates
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
POD_HASH = "-0000000000"  # stands for the hash at the end of a pod's name
HIGHEST_NAME = 63  # characters of a name that a cluster generates, with its five at random
USER = 8737  # as whom Argo's own images run
MINIMAL_POD_CONTEXT = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
MINIMAL_CONTEXT = {
    **MINIMAL_POD_CONTEXT,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
}
VAR_RUN, TEMPORARY = "var-run-argo", "tmp-dir-argo"  # volumes of each of Argo's pods
FIRST_PLACE = ("nodeSelector", "affinity", "tolerations", "schedulerName", "securityContext")


def argo_pods(workflow_template: Manifest, controller: Controller) -> dict[str, Manifest]:
    """Return the pods of a WorkflowTemplate as v1 Pods, by the names of `raw_pods`.

    The pod of HTTP templates has the name `(agent)`.
    """
    workflow = Workflow(workflow_template, controller)
    pods: dict[str, Manifest] = {}
    for template in workflow.spec["templates"]:
        if template.get("container"):
            name = step_name(template) or template["name"]
            pods[f"{name}, again" if name in pods else name] = workflow.pod(template)
        elif template.get("resource"):
            jobs = dict(jobset_pods(template["resource"]["manifest"], workflow.namespace))
            pods |= jobs
            pods[f"{next(iter(jobs)).partition('/')[0]}/creator"] = workflow.pod(template)
    if has_agent(workflow.spec):
        pods[AGENT] = workflow.agent()
    return pods


def whole_spec(workflow_template: Manifest, controller: Controller) -> dict[str, Any]:
    """Return the WorkflowSpec of a WorkflowTemplate's runs, with what the controller adds."""
    spec: dict[str, Any] = Workflow(workflow_template, controller).spec
    return spec


class Workflow:
    """A workflow that runs a WorkflowTemplate, with what its controller adds to it."""

    def __init__(self, template: Manifest, controller: Controller) -> None:
        self.controller = controller
        self.namespace = template["metadata"].get("namespace") or ""
        prefix = template["metadata"]["name"] + "-"  # Metaflow's generateName
        self.name = prefix[: HIGHEST_NAME - len("xxxxx")] + "xxxxx"
        self.spec = strategic_merge(
            controller.default_spec, without_nulls(template["spec"]), WORKFLOW
        )
        defaults = self.spec.get("templateDefaults") or {}
        self.spec["templates"] = [
            with_template_defaults(item, defaults) for item in self.spec["templates"]
        ]

    def pod(self, template: Manifest) -> dict[str, Any]:
        """Return the pod of a template that has a container or a resource."""
        resource = "container" not in template
        main = self.executor_container("main", resource) if resource else template["container"]
        main = strategic_merge(self.controller.main_container, {**main, "name": "main"}, POD)
        archive = self.archive_location(template)
        own: list[dict[str, Any]] = []
        if not resource or archive:
            own.append(self.executor_container(self.auxiliary, resource))
        init = []
        if not self.controller.has_initless_pods:
            init.append(self.executor_container("init", resource))
        spec = {
            "restartPolicy": "Never",
            "volumes": [*self.volumes(template, main, archive)],
            "initContainers": [*init, *template.get("initContainers", ())],
            "containers": [*own, main, *template.get("sidecars", ())],
            **self.inherited(template),
        }
        automount = "automountServiceAccountToken"
        if template.get(automount, self.spec.get(automount)) is False:
            spec[automount] = False
        if limits := [*time_limits(template), *time_limits(self.spec)]:
            spec["activeDeadlineSeconds"] = min(limits)
        if pod_resources := template.get("podResources") or self.spec.get("podResources"):
            spec["resources"] = pod_resources
        for patch in (self.spec.get("podSpecPatch"), template.get("podSpecPatch")):
            spec = strategic_merge(spec, read_yaml(patch or "{}"), POD)
        name = f"{self.name}-{template['name']}"[: 253 - len(POD_HASH)] + POD_HASH
        return self.manifest(name, template.get("metadata") or {}, spec)

    def agent(self) -> dict[str, Any]:
        """Return the pod that runs the HTTP templates of the workflow."""
        variables = self.controller.variables
        container = {
            "image": self.controller.executor_image,
            "command": ["argoexec"],
            "securityContext": MINIMAL_CONTEXT,
            "resources": {
                "requests": {"cpu": "10m", "memory": "64M"},
                "limits": {
                    "cpu": variables.get("ARGO_AGENT_CPU_LIMIT") or "100m",
                    "memory": variables.get("ARGO_AGENT_MEMORY_LIMIT") or "256M",
                },
            },
            **self.pull_policy(),
        }
        account = self.spec.get("serviceAccountName") or "default"
        token = {"secretName": token_of(account)}
        spec = {
            "restartPolicy": "OnFailure",
            "securityContext": MINIMAL_POD_CONTEXT,
            "automountServiceAccountToken": False,
            "volumes": [
                {"name": VAR_RUN, "emptyDir": {}},
                {"name": "kube-api-access-xxxxx", "secret": token},
            ],
            "initContainers": [{"name": "init", **container}],
            "containers": [{"name": "main", **container}],
            **self.inherited({}),
        }
        spec = strategic_merge(spec, read_yaml(self.spec.get("podSpecPatch") or "{}"), POD)
        labels = {"workflows.argoproj.io/component": "agent"}
        return self.manifest(f"{self.name}{POD_HASH}-agent", {"labels": labels}, spec)

    @property
    def auxiliary(self) -> str:
        """The container that collects a step's logs and outputs."""
        return "supervisor" if self.controller.has_initless_pods else "wait"

    def executor_container(self, name: str, resource: bool) -> dict[str, Any]:
        """Return one of Argo's own containers; `resource` if it is of a pod that makes objects."""
        executor = self.controller.executor
        container = {"name": name, "image": self.controller.executor_image, **self.pull_policy()}
        context = executor.get("securityContext")
        if resource and not context:
            context = {**MINIMAL_CONTEXT}
            if name in ("init", "wait"):
                del context["readOnlyRootFilesystem"]
        added = {"resources": executor.get("resources"), "securityContext": context}
        return container | {field: value for field, value in added.items() if value}

    def pull_policy(self) -> dict[str, str]:
        policy = self.controller.executor_pull_policy
        return {"imagePullPolicy": policy} if policy else {}

    def inherited(self, template: Manifest) -> dict[str, Any]:
        """Return the fields of a pod that are a template's, or else the workflow's."""
        spec = {}
        for name in (*FIRST_PLACE, "serviceAccountName"):
            if value := template.get(name) or self.spec.get(name):
                spec[name] = value
        if name := template.get("priorityClassName") or self.spec.get("podPriorityClassName"):
            spec["priorityClassName"] = name
        for name in ("imagePullSecrets", "hostNetwork", "dnsPolicy", "dnsConfig"):
            if value := self.spec.get(name):
                spec[name] = value
        aliases = [*self.spec.get("hostAliases", ()), *template.get("hostAliases", ())]
        return spec | ({"hostAliases": aliases} if aliases else {})

    def volumes(
        self, template: Manifest, main: Manifest, archive: Manifest
    ) -> Iterator[dict[str, Any]]:
        yield {"name": VAR_RUN, "emptyDir": {}}
        yield {"name": TEMPORARY, "emptyDir": {}}
        own = template.get("volumes") or ()
        yield from own
        if self.controller.has_initless_pods:
            image = {"reference": self.controller.executor_image}
            if policy := self.controller.executor_pull_policy:
                image["pullPolicy"] = policy
            yield {"name": "argoexec-bin", "image": image}
        if secret := self.controller.table("kubeConfig").get("secretName"):
            name = self.controller.table("kubeConfig").get("volumeName") or "kubeconfig"
            yield {"name": name, "secret": {"secretName": secret}}
        mounted = {mount["name"] for mount in main.get("volumeMounts") or ()}
        mounted -= {volume["name"] for volume in own}
        for volume in self.spec.get("volumes") or ():
            if volume["name"] in mounted:
                yield volume
        yield from secret_volumes(archive)
        executor = template.get("executor") or self.spec.get("executor") or {}
        if account := executor.get("serviceAccountName"):
            yield {"name": "exec-sa-token", "secret": {"secretName": token_of(account)}}

    def archive_location(self, template: Manifest) -> Manifest:
        """Return where the logs of a template's pod go; empty if they go nowhere.

        A namespace's own ConfigMap `artifact-repositories` is not considered.
        """
        repository: Manifest = self.controller.table("artifactRepository")
        location: Manifest = template.get("archiveLocation") or {}
        archives = repository.get("archiveLogs") or location.get(
            "archiveLogs", self.spec.get("archiveLogs")
        )
        has_own = location.keys() - {"archiveLogs"}
        return (location if has_own else repository) if archives else {}

    def manifest(self, name: str, metadata: Manifest, spec: Manifest) -> dict[str, Any]:
        labels = {WORKFLOW_LABEL: self.name, "workflows.argoproj.io/completed": "false"}
        if self.controller.instance_id:
            labels[INSTANCE_ID] = self.controller.instance_id
        workflow_metadata = self.spec.get("podMetadata") or {}
        added: dict[str, dict[str, str]] = {"labels": labels, "annotations": {}}
        for kind, values in added.items():
            values |= metadata.get(kind) or {}
            values |= workflow_metadata.get(kind) or {}  # addPodMetadata in templateresolution
        return pod_manifest(name, self.namespace, added, spec)
