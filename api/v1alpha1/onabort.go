// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// OnAbort is what is done, beside taking the traffic away, when a revision is
// aborted. Argo Rollouts does not have it.
type OnAbort struct {
	// revert undoes in Git the commit that brought in the aborted template, so
	// that Git and the cluster say the same again. Default: Git is left alone.
	// The controller's flag --revert-hosts must allow the hosts.
	// +optional
	Revert *GitRevert `json:"revert,omitempty"`
}

// GitRevert undoes a commit of a Git repository. It is made once for each
// aborted attempt; when it cannot be told which commit to undo, or it cannot be
// undone without a conflict, nothing is changed and the condition Notified says
// why.
type GitRevert struct {
	// repository is the https URL of the repository, without a user or password
	// in it, such as https://github.com/example/config.git.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^/@?#\s]+/[^@?#\s]+$`
	Repository string `json:"repository"`
	// branch that is deployed, such as main.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	Branch string `json:"branch"`
	// path is the file or folder of the Rollout's manifests, from the top of the
	// repository, such as apps/checkout. The commit must have changed something
	// in it; all of the commit is undone, also what it changed elsewhere.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`
	// mode is commit, to push to the branch, or pullRequest, to push to a branch
	// of its own and open a pull request on GitHub. Default commit.
	// +kubebuilder:validation:Enum=commit;pullRequest
	// +optional
	Mode string `json:"mode,omitempty"`
	// author of the commit: the bot's name and address.
	Author GitAuthor `json:"author"`
	// secretRef names the Secret with the credentials.
	SecretRef GitSecretRef `json:"secretRef"`
	// github says where pull requests are opened.
	// +optional
	GitHub *GitHubAPI `json:"github,omitempty"`
}

// The modes of a GitRevert.
const (
	RevertCommit      = "commit"
	RevertPullRequest = "pullRequest"
)

// NoticeToRevert is the lane of the outbox in which reverts are made.
const NoticeToRevert = "onAbort.revert"

// GitAuthor is who a commit is by.
type GitAuthor struct {
	// name such as "Sluice".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^<>\x00-\x1f]+$`
	Name string `json:"name"`
	// email such as sluice@example.com.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:Pattern=`^[^<>\s\x00-\x1f]+@[^<>\s\x00-\x1f]+$`
	Email string `json:"email"`
}

// GitSecretRef names a Secret.
type GitSecretRef struct {
	// name of a Secret in the Rollout's namespace. It has the key token, or the
	// keys username and password. The controller must be allowed to get it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// GitHubAPI is GitHub's REST API.
type GitHubAPI struct {
	// apiURL is its base, such as https://github.example.com/api/v3. Default
	// https://api.github.com for a repository on github.com; needed elsewhere.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https://[^/@?#\s]+(/[^@?#\s]*)?$`
	// +optional
	APIURL string `json:"apiURL,omitempty"`
}
