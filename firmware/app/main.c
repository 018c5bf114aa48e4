/* Where nothing else calls the app: bare metal, and the host. */
#include "app.h"

int main(void)
{
    app_start();
    for (;;) {
        app_poll();
    }
}
