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
09:12:10 step 5/10 weights 75/25 pods v1=4/4 v2=1/1 services v1/v2 Progressing: waiting for analysis to complete
09:17:10 - web-v2-2-5 passes
09:17:10 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: more replicas need to be updated
09:17:10 step 6/10 weights 75/25 pods v1=4/4 v2=1/2 services v1/v2 Progressing: updated replicas are still becoming available
09:17:20 - the pods of v2 are available
09:17:20 step 6/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for all steps to complete
09:17:20 step 7/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:22:20 step 8/10 weights 50/50 pods v1=4/4 v2=2/2 services v1/v2 Progressing: waiting for analysis to complete
09:25:10 - web-v2-2 fails
09:25:10 step 0/10 weights 100/0 pods v1=4/4 v2=2/2 services v1/v1 Degraded: RolloutAborted: Rollout aborted update to revision 2: the background analysis failed: metric error-rate: 3 measurements failed, limit 2; last value 0.081
         > Rollout aborted update to revision 2: the background analysis failed: metric error-rate: 3 measurements failed, limit 2; last value 0.081
09:25:10 step 0/10 weights 100/0 pods v1=4/4 v2=2/2! services v1/v1 Degraded: RolloutAborted: Rollout aborted update to revision 2: the background analysis failed: metric error-rate: 3 measurements failed, limit 2; last value 0.081
09:25:40 step 0/10 weights 100/0 pods v1=4/4 v2=0/0 services v1/v1 Degraded: RolloutAborted: Rollout aborted update to revision 2: the background analysis failed: metric error-rate: 3 measurements failed, limit 2; last value 0.081
