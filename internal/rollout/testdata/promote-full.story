09:00:00 step 0/10 weights 100/0 pods v1=4/4 v2=0/1 services v1/v1 Progressing: more replicas need to be updated
         > Rollout updated to revision v2
09:00:00 step 0/10 weights 100/0 pods v1=4/4 v2=0/1 services v1/v1 Progressing: updated replicas are still becoming available
09:00:10 - the pods of v2 are available
09:00:10 step 0/10 weights 100/0 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:00:10 step 0/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:00:10 step 1/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:01:10 - web-v2-2 has a first good reading
09:02:10 step 2/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for analysis to complete
09:03:00 - somebody promotes in full
09:03:00 step 10/10 weights 90/10 pods v1=4/4 v2=1/4 services v1/v2 Progressing: more replicas need to be updated
         > Step 2 was skipped by a person: all remaining steps
09:03:00 step 10/10 weights 90/10 pods v1=4/4 v2=1/4 services v1/v2 Progressing: updated replicas are still becoming available
09:03:10 - the pods of v2 are available
09:03:10 step 10/10 weights 0/100 pods v1=4/4 v2=4/4 services v1/v2 Progressing: waiting for all steps to complete
09:03:10 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
         > Rollout completed update to revision v2
09:03:10 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for the stable Service's endpoints to be pods of the new stable revision only
09:03:11 - the stable Service's endpoints are pods of v2
09:03:11 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
09:03:11 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Healthy
09:03:40 step 10/10 weights 100/0 pods v1=0/0 v2=4/4 services v2/v2 Healthy
