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
09:03:10 - web-v2-2-2 holds: 2 % errors
09:03:10 step 2/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Progressing: metric error-rate is between its two conditions
         > The rollout waits: metric error-rate is between its two conditions
09:33:10 step 2/10 weights 90/10 pods v1=4/4 v2=1/1 services v1/v2 Paused: AnalysisHold
         > Rollout is paused (AnalysisHold)
09:42:10 - web-v2-2-2 passes
09:42:10 step 3/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for all steps to complete
         > Rollout is resumed: the analysis holds no longer
09:42:10 step 4/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:47:10 step 5/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for analysis to complete
09:52:10 - web-v2-2-5 passes
09:52:10 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: more replicas need to be updated
09:52:10 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: updated replicas are still becoming available
09:52:20 - the pods of v2 are available
09:52:20 step 6/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for all steps to complete
09:52:20 step 7/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:57:20 step 8/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for analysis to complete
10:02:20 - web-v2-2-8 passes
10:02:20 step 9/10 weights 50/50 pods v1=4/4 v2=2/4 services v1/v2 Progressing: more replicas need to be updated
10:02:20 step 9/10 weights 50/50 pods v1=4/4 v2=2/4 services v1/v2 Progressing: updated replicas are still becoming available
10:02:30 - the pods of v2 are available
10:02:30 step 9/10 weights 0/100 pods v1=4/4 v2=4/4 services v1/v2 Progressing: waiting for all steps to complete
10:02:30 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
         > Rollout completed update to revision v2
10:02:30 step 10/10 weights 0/100 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for the stable Service's endpoints to be pods of the new stable revision only
10:02:31 - the stable Service's endpoints are pods of v2
10:02:31 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Progressing: waiting for all steps to complete
10:02:31 step 10/10 weights 100/0 pods v1=4/4! v2=4/4 services v2/v2 Healthy
10:03:00 step 10/10 weights 100/0 pods v1=0/0 v2=4/4 services v2/v2 Healthy
