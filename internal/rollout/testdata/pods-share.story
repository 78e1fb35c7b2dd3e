09:00:00 step 0/5 pods v1=4/4 v2=0/1 Progressing: more replicas need to be updated
         > Rollout updated to revision v2
09:00:00 step 0/5 pods v1=4/4 v2=0/1 Progressing: updated replicas are still becoming available
09:00:10 - the pods of v2 are available
09:00:10 step 0/5 pods v1=4/4 v2=1/1 Progressing: waiting for background analysis web-v2-2 to start
09:00:10 step 0/5 pods v1=4/4 v2=1/1 Progressing: waiting for background analysis web-v2-2: metric error-rate has no successful measurement yet
09:01:10 - web-v2-2 has a first good reading
09:01:10 step 0/5 pods v1=3/3 v2=1/1 Progressing: waiting for all steps to complete
09:01:10 step 1/5 pods v1=3/3 v2=1/1 Paused: CanaryPauseStep
         > Rollout is paused (CanaryPauseStep)
09:02:10 step 2/5 pods v1=3/3 v2=1/1 Progressing: waiting for analysis to complete
09:07:10 - web-v2-2-2 passes
09:07:10 step 3/5 pods v1=3/3 v2=1/2 Progressing: more replicas need to be updated
09:07:10 step 3/5 pods v1=3/3 v2=1/2 Progressing: updated replicas are still becoming available
09:07:20 - the pods of v2 are available
09:07:20 step 3/5 pods v1=2/2 v2=2/2 Progressing: waiting for all steps to complete
09:07:20 step 4/5 pods v1=2/2 v2=2/2 Progressing: waiting for analysis to complete
09:12:20 - web-v2-2-4 passes
09:12:20 step 5/5 pods v1=2/2 v2=2/3 Progressing: more replicas need to be updated
09:12:30 - the pods of v2 are available
09:12:30 step 5/5 pods v1=1/1 v2=3/3 Progressing: more replicas need to be updated
09:12:30 step 5/5 pods v1=1/1 v2=3/4 Progressing: more replicas need to be updated
09:12:30 step 5/5 pods v1=1/1 v2=3/4 Progressing: updated replicas are still becoming available
09:12:40 - the pods of v2 are available
09:12:40 step 5/5 pods v1=0/0 v2=4/4 Progressing: old replicas are pending termination
         > Rollout completed update to revision v2
09:12:40 step 5/5 pods v1=0/0 v2=4/4 Healthy
