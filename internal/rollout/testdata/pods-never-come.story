09:00:00 step 0/10 weights 100/0 pods v1=4/4 v2=0/1 services v1/v1 Progressing: more replicas need to be updated
         > Rollout updated to revision v2
09:00:00 step 0/10 weights 100/0 pods v1=4/4 v2=0/1 services v1/v1 Progressing: updated replicas are still becoming available
09:10:00 step 0/10 weights 100/0 pods v1=4/4 v2=0/1 services v1/v1 Degraded: ProgressDeadlineExceeded: ReplicaSet of revision "v2" has timed out progressing: its pods did not become available in time
09:30:00 - the pods of v2 are available
09:30:00 step 0/10 weights 100/0 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:30:00 step 0/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:30:00 step 1/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:31:00 - web-v2-2 has a first good reading
09:32:00 step 2/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for analysis to complete
09:37:00 - web-v2-2-2 passes
09:37:00 step 3/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:37:00 step 4/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:42:00 step 5/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for analysis to complete
09:47:00 - web-v2-2-5 passes
09:47:00 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: more replicas need to be updated
09:47:00 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: updated replicas are still becoming available
09:57:00 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Degraded: ProgressDeadlineExceeded: ReplicaSet of revision "v2" has timed out progressing: its pods did not become available in time
10:17:00 - the pods of v2 are available
10:17:00 step 6/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for all steps to complete
10:17:00 step 7/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
10:22:00 step 8/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for analysis to complete
10:27:00 - web-v2-2-8 passes
10:27:00 step 9/10 weights 50/50 pods v1=4/4 v2=2/4 services v1/v2 Progressing: more replicas need to be updated
10:27:00 step 9/10 weights 50/50 pods v1=4/4 v2=2/4 services v1/v2 Progressing: updated replicas are still becoming available
10:37:00 step 9/10 weights 50/50 pods v1=4/4 v2=2/4 services v1/v2 Degraded: ProgressDeadlineExceeded: ReplicaSet of revision "v2" has timed out progressing: its pods did not become available in time
10:57:00 - the pods of v2 are available
10:57:00 step 9/10 weights 0/100 pods v1=4/4 v2=4/4 services v1/v2 Progressing: waiting for all steps to complete
10:57:00 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
         > Rollout completed update to revision v2
10:57:00 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for the stable Service's endpoints to be pods of the new stable revision only
10:57:01 - the stable Service's endpoints are pods of v2
10:57:01 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
10:57:01 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Healthy
10:57:30 step 10/10 weights 100/0 pods v1=0/0 v2=4/4 services v2/v2 Healthy
