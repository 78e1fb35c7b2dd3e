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
09:07:10 - web-v2-2-2 passes
09:07:10 step 3/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
09:07:10 step 4/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:10:00 - v1 is asked for again
09:10:00 step 10/10 weights 100/0 pods v1=4/4 v2=1/1 services v1/v1 Progressing: waiting for all steps to complete
         > Rollout returned to the stable revision v1
09:10:00 step 10/10 weights 100/0 pods v1=4/4 v2=1/1! services v1/v1 Healthy
09:10:30 step 10/10 weights 100/0 pods v1=4/4 v2=0/0 services v1/v1 Healthy
